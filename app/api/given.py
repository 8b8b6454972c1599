"""What a route is given by name: the running parts, and who asks."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from app.services import Door, Services
from domain.principals import Principal

ServicesGiven = NamedDependency[Services]
DoorGiven = SkipValidation[Door]  # a protocol, of which nothing is an instance
PrincipalGiven = NamedDependency[Principal]
