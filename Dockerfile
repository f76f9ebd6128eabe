# The first image has the compiler that builds the native plane; the second has what runs.
FROM node:24-bookworm AS build
WORKDIR /sluice
COPY package.json package-lock.json tsconfig.json tsconfig.build.json binding.gyp ./
COPY src src
RUN npm ci && npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
WORKDIR /sluice
# What outlives the container is in the volume: a generated secret.
ENV NODE_ENV=production STATE_DIRECTORY=/var/lib/sluice
COPY --from=build /sluice/package.json ./
COPY --from=build /sluice/node_modules node_modules
COPY --from=build /sluice/dist dist
COPY --from=build /sluice/build/Release/sluice.node build/Release/sluice.node
COPY config config
RUN install -d -o node -g node -m 0700 /var/lib/sluice
USER node
VOLUME /var/lib/sluice
# Relay ports are too many to be published one by one: docs/operations.md has it.
EXPOSE 3478/udp 3478/tcp
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
