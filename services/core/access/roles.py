"""The four roles. Each may do what the ones before it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    VIEWER = "viewer"
    """reads"""
    DISPATCHER = "dispatcher"
    """predicts and sends outcomes"""
    OPERATOR = "operator"
    """ingests, retrains and approves"""
    ADMIN = "admin"
    """manages users and keys, rolls back, changes settings"""

    def covers(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)
