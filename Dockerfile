FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.txt pyproject.toml LICENSE README.md ./
COPY federation federation
COPY migrations migrations
RUN python -m venv /opt/federation \
    && /opt/federation/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && /opt/federation/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home federation
COPY --from=build /opt/federation /opt/federation
USER 10001
ENV PATH=/opt/federation/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8470
STOPSIGNAL SIGTERM
CMD ["federation", "serve"]
