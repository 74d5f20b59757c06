"""Rules over any JSON: velocity, clauses and watchlists. What judges is pure: no client, no clock, no
file is touched there.

``load`` reads what people wrote, ``ruleset`` joins and names it, ``program`` compiles it for a merchant and an event
type, ``evaluate`` plans the reads of an event and decides by their answers. ``answers`` is what lies between that and
the stores. ``registry`` keeps rulesets that were published in a storage that is given to it, and ``watch`` follows it.
"""
