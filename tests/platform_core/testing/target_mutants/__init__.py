"""Kinds of models, each with one fault; like kinds they import no library when they are declared."""
