"""virtual_machine: the browser runs in a virtual machine or draws in software."""

from __future__ import annotations

from collections.abc import Sequence

from enrichers.causes import text_of
from enrichers.graphics import (
    ABSENT,
    BASIC_RENDER,
    CLOUD,
    EMULATOR,
    MACHINE,
    REMOTE,
    SOFTWARE,
    product,
    renderer_kind,
)
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched


class VirtualMachine(SmartSignal):
    """Renderer first, then what small virtual machines have in common."""

    name = "virtual_machine"
    recorded = True
    version = 2
    question = "The browser runs in a virtual machine, or draws in software."
    held_down = (
        "Microsoft Basic Render alone (missing drivers, remote desktops) and a remote display stay under the "
        "threshold. Memory of 16 and 32 GiB is as common as 8. This signal is a fact about the machine, not fraud."
    )
    honest_true = (
        "3% of honest visitors have a virtual renderer: work computers behind a remote desktop, developers, Android "
        "on a computer. With Microsoft Basic Render, most of them, it is true only where the machine is small too."
    )
    data_kinds = ("known_values",)
    inputs = (
        "webgl.unmasked_renderer",
        "navigator.hardware_concurrency",
        "navigator.device_memory",
        "screen.width",
        "screen.height",
        "media.audio_outputs",
    )
    clues = (
        Clue("machine_renderer", 0.95, "The renderer is a virtual machine's display adapter."),
        Clue("emulator", 0.95, "The renderer is an Android emulator's."),
        Clue("software_renderer", 0.7, "SwiftShader, llvmpipe or softpipe: mostly a machine without a card."),
        Clue("server_card", 0.6, "A card that is made for data centres, and let with the machine."),
        Clue("remote_display", 0.45, "The adapter of a remote desktop; it may be a person's own computer."),
        Clue("basic_render", 0.4, "Microsoft Basic Render: machines without a driver, 4% of honest visitors."),
        Clue("one_core", 0.3, "One core on a desktop, which is sold no more."),
        Clue("odd_cores", 0.1, "An odd number of cores from 3 to 7, as people share them out."),
        Clue("little_memory", 0.1, "2 GiB or less on a desktop; 1% of honest."),
        Clue("machine_screen", 0.15, "800 by 600 or 1024 by 768, the defaults of virtual displays."),
        Clue("no_audio_output", 0.05, "No sound device on a desktop; 10% of honest."),
    )

    def computable(self, view: View) -> Bool:
        """The renderer is named."""
        return view.classify("webgl.unmasked_renderer", renderer_kind) != ABSENT

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at renderer, processor, memory, screen and sound."""
        kind = view.classify("webgl.unmasked_renderer", renderer_kind)
        width, height = view.number("screen.width"), view.number("screen.height")
        small = ((width == 800) & (height == 600)) | ((width == 1024) & (height == 768))
        desktop = view.desktop
        cores = view.number("navigator.hardware_concurrency")
        return (
            kind == MACHINE,
            kind == EMULATOR,
            kind == SOFTWARE,
            kind == CLOUD,
            kind == REMOTE,
            kind == BASIC_RENDER,
            (cores == 1) & desktop,
            ((cores == 3) | (cores == 5) | (cores == 7)) & desktop,
            (view.number("navigator.device_memory") <= 2) & desktop,
            small & desktop,
            (view.number("media.audio_outputs") == 0) & desktop,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return what draws instead of a card."""
        return {"product": product(text_of(batch, row, "webgl.unmasked_renderer"))}
