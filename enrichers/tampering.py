"""tampering: what the browser says of itself contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.causes import Causes, first_of
from enrichers.consistency import ALL, ALTERED, FUNCTIONS, altered_on, contradictions_on
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

_MEASURED = "0 of 15,017 honest events of the simulated population"
_CONTRADICTIONS = (
    Clue("worker_contradicts_page", 0.7, f"A worker is the same browser; spoofers forget it. {_MEASURED}."),
    Clue("frame_contradicts_page", 0.7, f"A fresh frame is the same browser. {_MEASURED}."),
    Clue("engine_contradicts_user_agent", 0.8, f"Another engine answers than the user agent names. {_MEASURED}."),
    Clue("version_contradicts_user_agent", 0.5, "Features of another version; experiments switch single ones on."),
    Clue("system_contradicts_user_agent", 0.65, f"Platform or client hints name another system. {_MEASURED}."),
    Clue("hints_contradict_user_agent", 0.45, "Brand, form or version of the hints; applications built on a browser."),
    Clue("brand_version_contradicts_user_agent", 0.35, "Brand and user agent differ in version; updates race there."),
    Clue("mobile_hint_contradicts_user_agent", 0.3, "The mobile hint is wrong; the desktop-site switch of phones too."),
    Clue("vendor_contradicts_browser", 0.5, "The vendor string is another engine's."),
    Clue("device_contradicts_screen", 0.4, "Touch, screen and window are another device's; tools emulate devices too."),
    Clue("machine_contradicts_gpu", 0.45, "Graphics that this machine does not have; the data has rare true ones."),
    Clue("webgl_contradicts_itself", 0.5, f"Limits or formats that the named card does not have. {_MEASURED}."),
    Clue("worker_gpu_contradicts_page", 0.35, "A worker draws on another card; laptops with two explain 0.1%."),
    Clue("fonts_contradict_system", 0.35, "Fonts of another system and none of its own."),
    Clue("timezone_contradicts_itself", 0.35, "The offset is not the zone's; outdated zone tables explain some."),
    Clue("plugins_contradict_pdf_viewer", 0.25, "Not the plugins that the standard fixes; some applications' are not."),
    Clue("device_memory_impossible", 0.45, "A size of memory that no browser rounds to; 16 and 32 GiB are fine."),
    Clue("language_list_contradicts_language", 0.15, "The first language is not the language; in-app browsers do so."),
    Clue("number_out_of_range", 0.15, "A number outside what the signal can be."),
)
# The strongest first: replaced functions are one cause, whatever they are replaced for.
_REPLACED = (
    Clue("hiding_functions_altered", 0.75, "Functions that only somebody replaces who hides automation."),
    Clue("printing_functions_altered", 0.6, "Functions that print functions were replaced: to hide other changes."),
    Clue("identity_functions_altered", 0.5, "Functions that name the machine; privacy extensions replace them too."),
    Clue("noise_functions_altered", 0.4, "Functions that read pictures or sound; canvas blockers replace them too."),
    Clue("other_functions_altered", 0.3, "Some native function: 1.1% of honest, by content blockers and wallets."),
)
_LANGUAGES = "language_list_contradicts_language"
# What one lie contradicts, the strongest first: only that counts.
_ONE_LIE = (
    (
        "system_contradicts_user_agent",
        "hints_contradict_user_agent",
        "brand_version_contradicts_user_agent",
        "mobile_hint_contradicts_user_agent",
    ),
    ("worker_contradicts_page", "worker_gpu_contradicts_page"),
    ("engine_contradicts_user_agent", "vendor_contradicts_browser"),
)
_TRACES = Causes(
    {
        "webdriver": ("automation.webdriver_altered",),
        "languages": ("automation.languages_inconsistent", "fpscanner.hasMismatchLanguages"),
        "own": ("automation.navigator_own_properties",),
        "forged": (
            "!plugin.consistent",
            "!fpscanner.valid_plugin_array",
            "frame_page.native_code_differs",
            "frame_page.chrome_differs",
        ),
    }
)


class Tampering(SmartSignal):
    """An anomaly score over contradictions, each with the share of honest browsers that show it in mind."""

    name = "tampering"
    recorded = True
    version = 2
    question = "The browser's own statements contradict each other, or its functions were replaced."
    threshold = 0.6
    held_down = (
        "Wallet extensions, content blockers, canvas blockers and privacy extensions replace functions: that is one "
        "cause, and stays under the threshold alone. Browser updates race with client hints, laptops have two cards, "
        "and a phone that shows desktop sites changes the mobile hint."
    )
    inputs = (*ALL.inputs, *FUNCTIONS.inputs, *_TRACES.inputs)
    clues = (
        *_CONTRADICTIONS,
        *_REPLACED,
        Clue("navigator_own_properties", 0.4, "Navigator has properties of its own; few extensions add one."),
        Clue("forged_objects", 0.4, "Plugins are imitations, or a fresh frame prints natives otherwise."),
    )

    def computable(self, view: View) -> Bool:
        """The user agent was parsed, so that there is something to contradict."""
        return view.environment.browser != 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Take the contradictions by their cause, and the traces of replaced functions."""
        seen, traces, replaced = view.once(ALL.seen), _TRACES.seen(view), view.once(FUNCTIONS.seen)
        counted = {**seen, _LANGUAGES: seen[_LANGUAGES] | traces["languages"]}
        for chain in _ONE_LIE:
            counted |= zip(chain, first_of(*(seen[name] for name in chain)), strict=True)
        hiding, *others = (replaced[name] for name in ALTERED)
        return (
            *(counted[clue.reason] for clue in _CONTRADICTIONS),
            *first_of(hiding | traces["webdriver"], *others),
            traces["own"],
            traces["forged"],
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the names of the failed checks and of the replaced functions."""
        return {"contradictions": contradictions_on(batch, row), "altered": altered_on(batch, row)}
