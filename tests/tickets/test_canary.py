"""Marked personal data, written into every field of a case that takes text, is nowhere in clear."""

import io
import logging
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from aftersales.accounts import actors
from aftersales.accounts.models import Role
from aftersales.messaging import relay
from tests import canary
from tests.factories import intake_team, make_shop_client, make_staff_client, make_user
from tests.openapi import RestClient
from tests.tickets.conftest import Moment
from tickets import clocks, workflow
from tickets.models import Ticket


def picture(name: str) -> SimpleUploadedFile:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    return SimpleUploadedFile(name, content.getvalue(), "image/png")


def report(marks: canary.Marks) -> dict[str, Any]:
    return {
        "kind": "complaint",
        "complaint_class": "service",
        "channel": "shop",
        "subject": f"请回电{marks.phone}",
        "description": marks.sentence,
        "environment": marks.sentence,
        "tried": marks.sentence,
        "urgency": "urgent",
        "order_number": marks.order_number,
        "customer": {
            "name": marks.name,
            "phone": marks.phone,
            "email": marks.email,
            "address": marks.address,
        },
    }


def test_a_cases_personal_data_is_nowhere_in_clear(
    moment: Moment, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    marks = canary.Marks()
    intake_team()
    owner_user = make_user(Role.AGENT)
    shop_client = make_shop_client()
    shop, owner = RestClient(shop_client), RestClient(make_staff_client(owner_user))
    supervisor = RestClient(make_staff_client(make_user(Role.SUPERVISOR)))
    manager = RestClient(make_staff_client(make_user(Role.MANAGER)))
    said = {"reason": marks.sentence}

    opened = shop.post("/api/v1/tickets/", report(marks)).json()  # type: ignore[attr-defined]
    url = f"/api/v1/tickets/{opened['id']}/"
    assign = {"owner": owner_user.staff_number}
    answers = [
        supervisor.post(f"{url}grade/", {"level": "important"} | said),
        manager.post(f"{url}file/", {"decision": "return"} | said),
        supervisor.post(f"{url}assign/", assign | said),
        shop.post(f"{url}messages/", {"body": marks.sentence}),
        owner.post(f"{url}messages/", {"body": marks.sentence}),
        owner.post(f"{url}messages/", {"body": marks.sentence, "internal": True}),
    ]
    ticket = Ticket.objects.get(public_id=opened["id"])
    photo = picture(f"{marks.phone}.png")
    workflow.attach_file(ticket.pk, photo, internal=False, by=actors.shop(shop_client))
    moment.later(days=5)
    clocks.sweep()
    explained = {"cause": marks.sentence, "remedy": marks.sentence}
    answers += [
        owner.post(f"{url}explanations/1/submit/", explained),
        manager.post(f"{url}explanations/1/return/", said),
        owner.post(f"{url}explanations/1/submit/", explained),
        manager.post(f"{url}explanations/1/sign/"),
        owner.post(f"{url}resolve/", {"resolution": marks.sentence}),
        owner.post(f"{url}close/", said),
        shop.post(f"{url}reopen/", said),
        supervisor.post(f"{url}cancel/", said),
    ]
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {200, 201}, codes
    relay.relay_fan_out()
    relay.relay_deliveries("mail")
    relay.relay_deliveries("default")
    output = capfd.readouterr()
    assert canary.grep_everything(marks, logs=caplog.text + output.out + output.err) == []
