"""CustomResourceDefinitions (apiextensions.k8s.io/v1): what a definition must be, and the kinds that it makes."""
