"""What the weights of behaviour rest on. Made by ``clickgoose signals learn``: not to be changed by hand."""

from __future__ import annotations

EVENTS, SEED = 30_000, 11  # of the simulated traffic
TRAFFIC = "a7eb660c21e6f66c"  # the code that made it
PROGRAMS, PEOPLE = 2_538, 6_513  # sessions of attackers and of honest people
SHOWN = {  # sessions that show a clue: of attackers, of people
    "untrusted_events": (276, 456),
    "many_untrusted_events": (0, 0),
    "click_without_trail": (337, 343),
    "clicks_without_trail": (618, 39),
    "card_set_by_script": (180, 233),
    "all_set_by_script": (139, 4),
    "machine_cadence": (209, 0),
    "even_cadence": (97, 4),
    "rather_even_cadence": (291, 309),
    "faster_than_fingers": (162, 0),
    "as_fast_as_the_fastest": (75, 6),
    "filled_at_once": (126, 0),
    "filled_fast": (136, 0),
    "submitted_at_once": (129, 0),
    "submitted_early": (240, 1),
    "clicks_of_no_length": (60, 81),
    "clicks_of_little_length": (34, 11),
    "short_trails": (33, 4),
    "no_pointer_at_all": (0, 0),
    "all_pasted": (209, 0),
    "pasted_whole_card": (118, 0),
    "card_from_another_tab": (118, 632),
    "close_attempted": (49, 473),
}
