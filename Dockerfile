FROM node:24-bookworm-slim AS build
WORKDIR /sluice
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
WORKDIR /sluice
ENV NODE_ENV=production
COPY --from=build /sluice/package.json ./
COPY --from=build /sluice/node_modules node_modules
COPY --from=build /sluice/dist dist
COPY config config
RUN install -d -o node -g node -m 0700 /var/lib/sluice
USER node
VOLUME /var/lib/sluice
EXPOSE 3478/udp 3478/tcp
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
