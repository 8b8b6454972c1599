"""What a route is given by name: the running parts, and who asks."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import Dependency

from app.services import Door, Services
from domain.principals import Principal

ServicesGiven = NamedDependency[Services]
DoorGiven = Annotated[Door, Dependency(skip_validation=True)]  # a protocol, of which nothing is an instance
PrincipalGiven = NamedDependency[Principal]
