"""What the weights of behaviour rest on. Made by ``clickgoose signals learn``: not to be changed by hand."""

from __future__ import annotations

EVENTS, SEED = 30_000, 11  # of the simulated traffic
TRAFFIC = "94612396845b7ae9"  # the code that made it
PROGRAMS, PEOPLE = 2_851, 6_420  # sessions of attackers and of honest people
SHOWN = {  # sessions that show a clue: of attackers, of people
    "untrusted_events": (314, 425),
    "many_untrusted_events": (0, 0),
    "click_without_trail": (388, 322),
    "clicks_without_trail": (831, 31),
    "card_set_by_script": (167, 212),
    "all_set_by_script": (154, 3),
    "machine_cadence": (293, 0),
    "even_cadence": (137, 4),
    "rather_even_cadence": (333, 286),
    "faster_than_fingers": (198, 0),
    "as_fast_as_the_fastest": (157, 14),
    "filled_at_once": (168, 0),
    "filled_fast": (188, 1),
    "submitted_at_once": (192, 0),
    "submitted_early": (248, 6),
    "clicks_of_no_length": (44, 63),
    "clicks_of_little_length": (20, 13),
    "short_trails": (36, 5),
    "no_pointer_at_all": (1, 0),
    "all_pasted": (227, 0),
    "pasted_whole_card": (121, 0),
    "card_from_another_tab": (119, 662),
    "close_attempted": (43, 492),
}
