"""What must be true once everything is calm: users have what they asked for, all know it, nothing is left over."""
