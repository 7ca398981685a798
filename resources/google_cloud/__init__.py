"""What vendors that speak gRPC with Google's services share: how a channel opens, and what a refusal means."""
