"""The gateway: the Kubernetes REST API over HTTPS, the only door for users. A thin shell over the store's port."""
