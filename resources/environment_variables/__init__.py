"""Variables of the process: what a pod, a service file or a shell gave it."""
