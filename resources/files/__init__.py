"""Files in a folder, as Kubernetes and Docker give secrets to a process."""
