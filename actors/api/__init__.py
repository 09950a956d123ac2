"""The nouns: kinds, lenses over encoded objects, quantities, selectors, patches, defaulting, validation, errors.

Pure: nothing here knows the time, randomness, a socket or Ray. Everything above imports from here.
"""
