"""Webhooks of monitoring: Alertmanager, Grafana, Uptime Kuma."""
