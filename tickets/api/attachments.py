"""REST for the files of a case."""

import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from aftersales.accounts.idempotency import idempotent
from aftersales.accounts.models import Scope
from aftersales.common import errors
from aftersales.common.api.parsers import UploadParser
from aftersales.common.api.serializers import StrictSerializer, read_body
from tickets import files, workflow
from tickets.api.cases import OfCases
from tickets.models import Attachment
from tickets.models.event import AttachmentQuerySet

logger = logging.getLogger(__name__)


class AttachmentParser(UploadParser):
    max_size = files.MAX_SIZE


class AttachmentInput(StrictSerializer):
    """One file, as multipart/form-data."""

    file = serializers.FileField()
    internal = serializers.BooleanField(required=False, default=False)


class AttachmentOutput(serializers.ModelSerializer[Attachment]):
    """A file of a case; ``url`` needs a key as every call does, and always answers a download."""

    id = serializers.UUIDField(source="public_id")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Attachment
        fields = ["id", "name", "content_type", "size", "url", "internal", "created_at"]

    def get_url(self, attachment: Attachment) -> str:
        where = [attachment.ticket.public_id, attachment.public_id]
        return f"{settings.BASE_URL}{reverse('tickets-api:attachment-detail', args=where)}"


class FileOrProblem(JSONRenderer):
    """The file itself is no business of a renderer, whatever the caller accepts; a problem is."""

    media_type = "*/*"


class AttachmentView(OfCases, GenericAPIView[Attachment]):
    """Files are seen by whoever sees the case; internal ones by staff only."""

    keyset = ("id",)
    serializer_class = AttachmentOutput
    shop_scopes = {
        "get": Scope.TICKETS_READ,
        "head": Scope.TICKETS_READ,
        "post": Scope.TICKETS_WRITE,
    }

    def get_queryset(self) -> AttachmentQuerySet:
        found: AttachmentQuerySet = Attachment.objects.visible_to(self.actor)
        return found.filter(ticket__public_id=self.kwargs["public_id"]).select_related("ticket")


class AttachmentListView(AttachmentView):
    parser_classes = (AttachmentParser,)

    @extend_schema(operation_id="tickets_attachments_list", responses=AttachmentOutput(many=True))
    def get(self, request: Request, public_id: UUID) -> Response:
        """The files of a case, oldest first."""
        self.ticket_id()
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(AttachmentOutput(page, many=True).data)

    @extend_schema(
        operation_id="tickets_attachments_create",
        request={"multipart/form-data": AttachmentInput},
        responses={201: AttachmentOutput},
    )
    @idempotent()
    def post(self, request: Request, public_id: UUID) -> Response:
        """Add one file: a picture (JPEG, PNG, WebP), a PDF or a video (MP4, MOV, WebM) of at most
        10 MB; a case takes ten, and 50 MB. Pictures are drawn anew, without place or camera data.
        """
        ticket_id = self.ticket_id()
        body = read_body(AttachmentInput, request)
        if len(request.FILES.getlist("file")) > 1:
            raise errors.Invalid(errors.FieldError("/file", "repeated", _("Send one file a call.")))
        attachment = workflow.attach_file(
            ticket_id, body["file"], internal=body["internal"], by=self.actor
        )
        data = AttachmentOutput(attachment).data
        return Response(data, status=status.HTTP_201_CREATED, headers={"Location": data["url"]})


class AttachmentDetailView(AttachmentView):
    renderer_classes = (FileOrProblem,)

    @extend_schema(
        operation_id="tickets_attachments_retrieve",
        responses={(200, kind): OpenApiTypes.BINARY for kind in files.ENDINGS},
    )
    def get(self, request: Request, public_id: UUID, attachment_id: UUID) -> FileResponse:
        """The file, as a download."""
        attachment = self.get_queryset().filter(public_id=attachment_id).first()
        if attachment is None:
            raise errors.NotVisible()
        return download(attachment)


def download(attachment: Attachment) -> FileResponse:
    """The file as an answer that no browser runs, guesses at or keeps.

    Raises StorageUnavailable when it cannot be read.
    """
    try:
        content = attachment.file.open("rb")
    except OSError as error:
        logger.error("file_not_readable", extra={"errno": error.errno})
        raise errors.StorageUnavailable(retry_after=60) from error
    return FileResponse(
        content,
        as_attachment=True,
        filename=attachment.name,
        content_type=attachment.content_type,
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
            "Cache-Control": "private, no-store",
        },
    )


WHERE = "tickets/<uuid:public_id>/attachments/"
urlpatterns: list[Any] = [
    path(WHERE, AttachmentListView.as_view(), name="attachment-list"),
    path(f"{WHERE}<uuid:attachment_id>/", AttachmentDetailView.as_view(), name="attachment-detail"),
]
