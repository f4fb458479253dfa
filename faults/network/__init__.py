"""What stands between the parts of a stack: TCP proxies that inject network faults, and a load balancer."""
