"""The methods: one hypothesis a file, none leaning on another.

Adding one: its file here, its test, its section in `docs/methods.md`, its line in `METHODS`.  They run
in this order; the forest comes last, since it combines what the others measured.
"""

from typing import Final

from detectors.method import Method
from detectors.methods.amount_tail import AmountTail
from detectors.methods.country import NewCountry
from detectors.methods.distance import Distance
from detectors.methods.forest import IsolationOfDeviations
from detectors.methods.hours import UnusualHours
from detectors.methods.merchant_amount import MerchantAmount
from detectors.methods.merchant_confirmed import MerchantConfirmed
from detectors.methods.merchant_declined import MerchantDeclined
from detectors.methods.merchant_rush import MerchantRush
from detectors.methods.travel import Travel
from detectors.methods.user_amount import UserAmount
from detectors.methods.user_burst import UserBurst
from detectors.methods.user_confirmed import UserConfirmed
from detectors.methods.user_day import UserDay
from detectors.methods.user_declined import UserDeclined
from detectors.methods.user_velocity import UserVelocity
from detectors.settings import DetectionSettings

METHODS: Final = (
    UserAmount,
    MerchantAmount,
    AmountTail,
    UserVelocity,
    UserBurst,
    UserDay,
    MerchantRush,
    UserDeclined,
    MerchantDeclined,
    UnusualHours,
    Distance,
    Travel,
    NewCountry,
    IsolationOfDeviations,
)

FEEDBACK: Final = (MerchantConfirmed, UserConfirmed)
"""What confirmed frauds say; at work where `settings.feedback` is given."""


def all_methods(settings: DetectionSettings) -> tuple[Method, ...]:
    """Return every method that is not switched off, in order; those on labels where there is feedback."""
    methods = METHODS if settings.feedback is None else (*METHODS, *FEEDBACK)
    return tuple(method(settings) for method in methods if method.name not in settings.off)
