"""What a route is given by name: the running parts, and who asks."""

from __future__ import annotations

from litestar.di import NamedDependency

from app.services import Services
from domain.principals import Principal

ServicesGiven = NamedDependency[Services]
PrincipalGiven = NamedDependency[Principal]
