"""Every change of state of a case, by subject; the only writer of status and events."""

from tickets.workflow.closing import (
    cancel_ticket,
    close_ticket,
    close_unanswered,
    reopen_ticket,
    resolve_ticket,
)
from tickets.workflow.explanations import (
    return_explanation,
    sign_explanation,
    submit_explanation,
)
from tickets.workflow.files import attach_file, remove_orphan_files
from tickets.workflow.grading import file_grading, grade_ticket, return_filing
from tickets.workflow.handling import (
    Words,
    assign_ticket,
    name_complained_of,
    reply_to_customer,
    resume_ticket,
    start_ticket,
    urge_ticket,
    wait_ticket,
    write_as_customer,
    write_note,
)
from tickets.workflow.intake import CustomerReport, Intake, ProductReport, Report, take_in

__all__ = [
    "CustomerReport",
    "Intake",
    "ProductReport",
    "Report",
    "Words",
    "assign_ticket",
    "attach_file",
    "cancel_ticket",
    "close_ticket",
    "close_unanswered",
    "file_grading",
    "grade_ticket",
    "name_complained_of",
    "remove_orphan_files",
    "reopen_ticket",
    "reply_to_customer",
    "resolve_ticket",
    "resume_ticket",
    "return_explanation",
    "return_filing",
    "sign_explanation",
    "start_ticket",
    "submit_explanation",
    "take_in",
    "urge_ticket",
    "wait_ticket",
    "write_as_customer",
    "write_note",
]
