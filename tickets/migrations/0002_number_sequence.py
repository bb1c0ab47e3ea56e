"""The never-reset sequence behind case numbers (tickets.workflow.numbers)."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE tickets_number AS bigint",
            reverse_sql="DROP SEQUENCE tickets_number",
        )
    ]
