"""Deliveries of monitoring, with the members that the programs send and with values that are invented.

Alertmanager: ``template/template.go`` and ``notify/webhook/webhook.go``. Grafana: the example of its manual,
with other labels. Uptime Kuma: ``server/model/heartbeat.js`` and ``monitor.js`` of version 2.
"""

from __future__ import annotations

import json
from typing import Any

SECRET = "hunter2-in-an-alert"
"""Stands for what an alert may give away."""
HOST = "glpi-db-07.internal.example"


def an_alert(
    *,
    state: str = "firing",
    starts_at: str = "2026-03-01T10:00:00.123456789Z",
    ends_at: str = "0001-01-01T00:00:00Z",
    fingerprint: str = "c6eadffa33fcdf37",
    **labels: str,
) -> dict[str, Any]:
    """An alert of Alertmanager."""
    return {
        "status": state,
        "labels": {"alertname": "InstanceDown", "instance": HOST, **{"deployment": "glpi-dijon", **labels}},
        "annotations": {
            "summary": f"{HOST} is down: password {SECRET} was refused",
            "runbook_url": "https://x.example/",
        },
        "startsAt": starts_at,
        "endsAt": ends_at,
        "generatorURL": f"http://{HOST}:9090/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }


def alertmanager(*alerts: dict[str, Any], **members: Any) -> bytes:
    """A message of Alertmanager."""
    message = {
        "receiver": "federation",
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "InstanceDown"},
        "commonLabels": {"alertname": "InstanceDown", "instance": HOST},
        "commonAnnotations": {},
        "externalURL": f"http://{HOST}:9093",
        "version": "4",
        "groupKey": '{}:{alertname="InstanceDown"}',
        "truncatedAlerts": 0,
    }
    return json.dumps({**message, **members}).encode()


def grafana(*alerts: dict[str, Any], **members: Any) -> bytes:
    """A message of Grafana: alerts as Alertmanager's, with members beside them."""
    rich = [
        {
            **alert,
            "silenceURL": "https://grafana.example/alerting/silence/new",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 44.23943737541908, "C": 1},
            "valueString": "[ metric='' labels={} value=14151.331895396988 ]",
        }
        for alert in alerts
    ]
    message = json.loads(alertmanager(*rich))
    grafanas = {"orgId": 1, "version": "1", "title": "[FIRING:1]", "state": "alerting", "message": SECRET}
    return json.dumps({**message, **grafanas, **members}).encode()


def uptime_kuma(
    status: int = 0,
    time: str = "2026-03-01 10:00:00.123",
    *,
    monitor: int = 29,
    deployment: str | None = "glpi-dijon",
    **heartbeat: Any,
) -> bytes:
    """A message of Uptime Kuma."""
    tags = [{"tag_id": 3, "monitor_id": monitor, "value": "", "name": "urgent", "color": "#DC2626"}]
    if deployment is not None:
        tags.append(
            {"tag_id": 4, "monitor_id": monitor, "value": deployment, "name": "deployment", "color": "#111"}
        )
    return json.dumps(
        {
            "heartbeat": {
                "monitorID": monitor,
                "status": status,
                "time": time,
                "msg": f"getaddrinfo ENOTFOUND {HOST}",
                "ping": None,
                "important": True,
                "duration": 61,
                "retries": 1,
                "response": f"token={SECRET}",
                "timezone": "Europe/Paris",
                "timezoneOffset": "+01:00",
                "localDateTime": "2026-03-01 11:00:00",
                **heartbeat,
            },
            "monitor": {
                "id": monitor,
                "name": "GLPI of Dijon",
                "description": None,
                "pathName": "GLPI of Dijon",
                "url": f"https://{HOST}/",
                "type": "http",
                "interval": 60,
                "notificationIDList": {"1": True},
                "tags": tags,
                "basic_auth_pass": SECRET,
                "databaseConnectionString": f"postgres://glpi:{SECRET}@{HOST}/",
                "includeSensitiveData": False,
            },
            "msg": f"[GLPI of Dijon] [🔴 Down] getaddrinfo ENOTFOUND {HOST}",
        },
        ensure_ascii=False,
    ).encode()


TEST_OF_UPTIME_KUMA = json.dumps({"heartbeat": None, "monitor": None, "msg": "federation Testing"}).encode()
"""The message of the button "Test"; that of a certificate which will expire has the same members."""
