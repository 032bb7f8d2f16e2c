"""What a tenant has: photos and documents."""
