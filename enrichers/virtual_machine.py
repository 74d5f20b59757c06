"""virtual_machine: the browser runs in a virtual machine or draws in software."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.graphics import BASIC_RENDER, MACHINE, SOFTWARE, renderer_kind
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class VirtualMachine(SmartSignal):
    """Renderer first, then what small virtual machines have in common."""

    name = "virtual_machine"
    question = "The browser runs in a virtual machine, or draws in software."
    held_down = (
        "Microsoft Basic Render alone (remote desktops, missing drivers) stays under the threshold. 3% of honest "
        "visitors have a virtual renderer: this signal is a fact about the machine, not fraud by itself."
    )
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
        Clue(
            "software_renderer", 0.7, "SwiftShader, llvmpipe or softpipe: no card at all, mostly a machine without one."
        ),
        Clue("basic_render", 0.4, "Microsoft Basic Render: machines without a driver and remote desktops."),
        Clue("one_core", 0.3, "One core on a desktop, which is sold no more."),
        Clue("little_memory", 0.1, "2 GiB or less on a desktop; 16 and 32 are as common now as 8."),
        Clue("machine_screen", 0.15, "800 by 600 or 1024 by 768, the defaults of virtual displays."),
        Clue("no_audio_output", 0.1, "No sound device on a desktop."),
    )

    def computable(self, view: View) -> Bool:
        """The renderer is named."""
        return view.classify("webgl.unmasked_renderer", renderer_kind) != 0

    def observe(self, view: View) -> Sequence[Bool]:
        """Look at renderer, processor, memory, screen and sound."""
        kind = view.classify("webgl.unmasked_renderer", renderer_kind)
        width, height = view.number("screen.width"), view.number("screen.height")
        small = ((width == 800) & (height == 600)) | ((width == 1024) & (height == 768))
        desktop = view.desktop
        memory = view.number("navigator.device_memory")
        return (
            kind == MACHINE,
            kind == SOFTWARE,
            kind == BASIC_RENDER,
            (view.number("navigator.hardware_concurrency") == 1) & desktop,
            ~np.isnan(memory) & (memory <= 2) & desktop,
            small & desktop,
            (view.number("media.audio_outputs") == 0) & desktop,
        )
