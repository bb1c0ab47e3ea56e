from tickets.models.clock import Clock, Explanation, Pause
from tickets.models.event import Attachment, Event, Message
from tickets.models.policy import (
    Calendar,
    CalendarDate,
    CalendarVersion,
    ComplaintPlan,
    GradingRule,
    LevelDefinition,
    PauseReason,
    PolicyVersion,
    Target,
)
from tickets.models.ticket import GradingForm, Hold, NumberDay, Ticket

__all__ = [
    "Attachment",
    "Calendar",
    "CalendarDate",
    "CalendarVersion",
    "Clock",
    "ComplaintPlan",
    "Event",
    "Explanation",
    "GradingForm",
    "GradingRule",
    "Hold",
    "LevelDefinition",
    "Message",
    "NumberDay",
    "Pause",
    "PauseReason",
    "PolicyVersion",
    "Target",
    "Ticket",
]
