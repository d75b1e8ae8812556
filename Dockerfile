# To pin the base image by its digest: docker build --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.txt pyproject.toml LICENSE README.md ./
COPY federation federation
COPY migrations migrations
# setuptools and pip are needed to install this project, and not to run it.
RUN python -m venv /opt/federation \
    && /opt/federation/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && /opt/federation/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/federation/bin/python -m pip uninstall --yes setuptools pip

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --no-create-home federation
COPY --from=build /opt/federation /opt/federation
USER 10001
ENV PATH=/opt/federation/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8470
STOPSIGNAL SIGTERM
CMD ["federation", "serve"]
