"""The webhook of Grafana Alerting, from Grafana 9 on.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/;
its members are those of ``ExtendedData`` in grafana/alerting. An alert is as Alertmanager's, with members
beside it. Grafana's version is "1", and a custom message may leave it out. Alerts of the older kind
(``ruleId``, ``evalMatches``, until Grafana 10) have no fingerprint, and are refused.
"""

from __future__ import annotations

from federation.domain.errors import Invalid
from federation.domain.formats.monitoring.alertmanager import read_alerts
from federation.domain.formats.monitoring.event import Delivery, read_object

VERSION = "1"


def read_grafana(raw: bytes) -> Delivery:
    """Read a delivery. Raises Invalid where it is no message of Grafana Alerting."""
    message = read_object(raw)
    if "ruleId" in message or "evalMatches" in message:
        raise Invalid(
            "it is an alert of the kind before Grafana 9, which has no fingerprint",
            pointer="/ruleId",
            fault="not-allowed",
        )
    if message.get("version", VERSION) != VERSION:
        raise Invalid(
            "it is not a message of Grafana of version {version}",
            pointer="/version",
            fault="not-allowed",
            allowed=(VERSION,),
            version=VERSION,
        )
    return read_alerts(message)
