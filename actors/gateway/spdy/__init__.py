"""SPDY/3.1, as far as Kubernetes' clients speak it: many streams over one connection. Pure."""
