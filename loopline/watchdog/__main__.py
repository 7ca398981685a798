"""The watchdog as a program."""

from loopline.cli.watchdog import watchdog

watchdog(prog_name="loopline watchdog")
