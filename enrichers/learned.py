"""What the weights of behaviour rest on. Made by ``clickgoose signals learn``: not to be changed by hand."""

from __future__ import annotations

EVENTS, SEED = 30_000, 11  # of the simulated traffic
TRAFFIC = "6d6f6443b96dbbb0"  # the code that made it
PROGRAMS, PEOPLE = 2_434, 6_625  # sessions of attackers and of honest people
SHOWN = {  # sessions that show a clue: of attackers, of people
    "untrusted_events": (217, 458),
    "many_untrusted_events": (0, 0),
    "click_without_trail": (387, 179),
    "clicks_without_trail": (585, 37),
    "card_set_by_script": (177, 226),
    "all_set_by_script": (67, 2),
    "machine_cadence": (194, 0),
    "even_cadence": (155, 8),
    "rather_even_cadence": (305, 346),
    "faster_than_fingers": (171, 0),
    "as_fast_as_the_fastest": (34, 5),
    "filled_at_once": (136, 0),
    "filled_fast": (145, 0),
    "submitted_at_once": (150, 1),
    "submitted_early": (190, 3),
    "clicks_of_no_length": (430, 64),
    "clicks_of_little_length": (162, 6),
    "short_trails": (3, 6),
    "no_pointer_at_all": (14, 0),
    "all_pasted": (193, 0),
    "pasted_whole_card": (135, 0),
    "card_from_another_tab": (58, 640),
    "close_attempted": (51, 498),
}
