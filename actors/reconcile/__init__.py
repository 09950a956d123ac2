"""The language of decisions: actions, the view that shows own writes, controllers, work queue, back-off, conditions."""
