# The one image of the service: its command decides whether it serves or works.
FROM python:3.13-slim AS build
WORKDIR /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
# The dependencies first: their layer changes only with these two files.
COPY pyproject.toml constraints.txt README.md ./
RUN mkdir -p imageproc config \
    && /venv/bin/pip install --constraint constraints.txt . \
    && /venv/bin/pip uninstall --yes imageproc
COPY manage.py ./
COPY config config
COPY imageproc imageproc
COPY templates templates
COPY static static
# A key for this step only: nothing of it stays.
RUN SECRET_KEY=build DATA_DIR=/build STATIC_ROOT=/app/staticfiles \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0

FROM python:3.13-slim
RUN groupadd --gid 10001 imageproc \
    && useradd --uid 10001 --gid imageproc --no-create-home --shell /usr/sbin/nologin imageproc \
    && install --directory --owner imageproc --group imageproc /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Static files belong to the version, not to the data: a volume would keep the first version's.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data STATIC_ROOT=/app/staticfiles
USER imageproc
EXPOSE 8000
# More than DRAIN_SECONDS is needed between the two signals: stop_grace_period in docker-compose.yml.
STOPSIGNAL SIGTERM
CMD ["gunicorn", "--config", "python:config.gunicorn", "--bind", "0.0.0.0:8000", "config.wsgi"]
