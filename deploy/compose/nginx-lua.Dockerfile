# nginx with its Lua module, which edge mode needs; Debian's.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nginx-light libnginx-mod-http-lua \
    && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
