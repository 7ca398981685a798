"""Every kind of models through the whole loop: a kind adds itself by a sample."""
