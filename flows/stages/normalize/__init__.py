"""normalize: numbers inside their ranges, strings parsed, and everything that can be checked against something else.

Each failed check is a named bit (``schemas.environment.CHECKS``) that smart signals, rules and the model use.

``stage``        the stage: ranges, dead letters, the environment
``seen``         one batch by catalogue name, with its strings parsed
``user_agent``   ``renderers``, ``time_zones``, ``languages``: what strings say, cached by value
``versions``     what an engine shows since which version, and which engine shows it
``*_checks``     the checks, by subject; ``registry`` lists them
"""

from flows.stages.normalize.stage import Normalize

__all__ = ["Normalize"]
