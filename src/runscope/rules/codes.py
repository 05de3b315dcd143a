"""The table of all rules. A code is never reused."""

from __future__ import annotations

from types import ModuleType

from runscope.rules.finding import Rule

MODULES: tuple[ModuleType, ...] = ()


def _rule(module: ModuleType) -> Rule:
    family = module.__name__.split(".")[-2]
    return Rule(
        code=module.CODE,
        name=module.NAME,
        family=family,
        look=module.look,
        manual=module.__doc__ or "",
        status=getattr(module, "STATUS", "stable"),
    )


RULES: dict[str, Rule] = {rule.code: rule for rule in map(_rule, MODULES)}
