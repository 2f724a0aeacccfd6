"""Network namespaces, a NAT64 and traffic around the real clatvisor. Standard library only; needs root."""
