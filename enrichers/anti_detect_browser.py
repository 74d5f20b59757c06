"""anti_detect_browser: a browser made to lie about its engine and machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import Causes, first_of
from enrichers.consistency import ALL, ALTERED, FUNCTIONS, altered_on, contradictions_on
from enrichers.known_values import impossible_sum, silent
from enrichers.noise import noise_explained, noisy_pictures
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

_CAUSES = Causes(
    {
        "webdriver": ("automation.webdriver_altered",),
        "own": ("automation.navigator_own_properties",),
        "forged": (
            "!plugin.consistent",
            "!fpscanner.valid_plugin_array",
            "frame_page.native_code_differs",
            "frame_page.chrome_differs",
        ),
        "audio": ("check.audio_unstable", "check.audio_impossible"),
    }
)


_NOISE = "noise_functions_altered"


class AntiDetectBrowser(SmartSignal):
    """Lies that need a patched browser or an injected script: made-up machines, another engine under the name, noise
    in everything that could tell one machine from another.
    """

    name = "anti_detect_browser"
    recorded = True
    version = 2
    question = "The browser was built or patched to pretend to be another one."
    threshold = 0.6
    held_down = (
        "Replaced functions (wallets, content and canvas blockers, privacy extensions) are one cause and stay under "
        "the threshold alone, and with an own property of navigator. Noise counts only where no privacy browser and "
        "no private window explains it. Office fonts on a Mac and two cards in a laptop are weak."
    )
    data_kinds = ("known_values",)
    inputs = (
        *ALL.inputs,
        *FUNCTIONS.inputs,
        *_CAUSES.inputs,
        "audio.sample_sum",
        "sound.noise_hash",
        "canvas.pixel_differences",
        "canvas.readback_errors",
        "api.brave",
        "timing.resolution",
    )
    clues = (
        Clue("engine_is_another", 0.75, "The engine that answers is not the one that the user agent names."),
        Clue("version_is_another", 0.6, "Features of another version than a profile's user agent: 0 of 15,017 honest."),
        Clue("worker_was_forgotten", 0.6, "The page's navigator was replaced, the worker's was not."),
        Clue("worker_gpu_was_forgotten", 0.35, "The page's graphics were replaced, the worker's were not; two cards."),
        Clue("graphics_are_made_up", 0.65, "Limits and formats that the named card does not have: 0 of 15,017 honest."),
        Clue("gpu_of_another_machine", 0.45, "Graphics of another system or processor."),
        Clue("noise_in_pictures_and_sound", 0.75, "Both have noise, and no function of the page makes it."),
        Clue("noise_in_pictures", 0.4, "Pictures have noise; canvas blockers do that for honest people too."),
        Clue("noise_in_sound", 0.35, "Two equal sounds differ, or the sound is none that an engine makes."),
        Clue("functions_hide", 0.65, "Functions were replaced that only somebody replaces who hides something."),
        Clue("functions_print_lies", 0.55, "Functions that print functions were replaced."),
        Clue("functions_name_another_machine", 0.45, "Functions that name the machine; privacy extensions do so too."),
        Clue("functions_replaced", 0.3, "Other functions: content blockers, wallets and canvas blockers do that too."),
        Clue("navigator_own_properties", 0.3, "Values defined on navigator itself, the way of init scripts."),
        Clue("forged_objects", 0.4, "Plugins are imitations, or a fresh frame prints natives otherwise."),
        Clue("fonts_of_another_system", 0.4, "At least three fonts of another system and none of its own."),
        Clue("device_of_another_kind", 0.35, "Touch, screen and window are another device's."),
    )

    def computable(self, view: View) -> Bool:
        """The browser was parsed, and replaced functions or the engine's habits were looked for."""
        looked = view.known("automation.native_code_altered", "automation.prototype_altered")
        return (view.environment.browser != 0) & (looked | ~np.isnan(view.number("timing.eval_length")))

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the browser and machine that are named with those that answer."""
        seen, found, replaced = view.once(ALL.seen), _CAUSES.seen(view), view.once(FUNCTIONS.seen)
        explained = view.once(noise_explained)
        pictures = view.once(noisy_pictures) & ~explained
        sound = found["audio"] | silent(view.category("sound.noise_hash"))
        sound = (sound | impossible_sum(view.number("audio.sample_sum"))) & ~explained
        # A canvas blocker replaces functions of the page to make its noise; a browser that is built for it does not.
        both, in_pictures, in_sound = first_of(pictures & sound & ~replaced[_NOISE], pictures, sound)
        engine, version = first_of(seen["engine_contradicts_user_agent"], seen["version_contradicts_user_agent"])
        worker, gpu = first_of(seen["worker_contradicts_page"], seen["worker_gpu_contradicts_page"])
        made_up, other_machine = first_of(seen["webgl_contradicts_itself"], seen["machine_contradicts_gpu"])
        hiding, printing, identity, noise, other = (replaced[name] for name in ALTERED)
        return (
            engine,
            version,
            worker,
            gpu,
            made_up,
            other_machine,
            both,
            in_pictures,
            in_sound,
            *first_of(hiding | found["webdriver"], printing, identity, noise | other),
            found["own"],
            found["forged"],
            seen["fonts_contradict_system"],
            seen["device_contradicts_screen"],
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the names of the failed checks and of the replaced functions."""
        return {"contradictions": contradictions_on(batch, row), "altered": altered_on(batch, row)}
