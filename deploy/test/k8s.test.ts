/**
 * The numbers of the Kubernetes base live in different objects and must fit each other: how a pod
 * ends, what is probed, what is selected. The sums are explained in deploy/k8s/edge.yaml.
 */
import { describe, expect, test } from "bun:test";
import type { Deployment } from "kubernetes-types/apps/v1";
import type { Container, Probe } from "kubernetes-types/core/v1";
import { buildManifests, containerOf, environmentOf, find } from "./manifests.ts";

const manifests = buildManifests();
const edge = find(manifests, "Deployment", "edge");
const token = find(manifests, "Deployment", "token");

function preStopSeconds(container: Container): number {
  const command = container.lifecycle?.preStop?.exec?.command ?? [];
  const pause = /^await Bun\.sleep\(([\d_]+)\)$/.exec(command[2] ?? "");
  expect(command.slice(0, 2)).toEqual(["bun", "-e"]);
  return Number(pause?.[1]?.replaceAll("_", "")) / 1000;
}

function graceSeconds(deployment: Deployment): number {
  return deployment.spec?.template.spec?.terminationGracePeriodSeconds ?? 30;
}

describe("the end of an edge", () => {
  const container = containerOf(edge);
  const environment = environmentOf(manifests, container);
  const seconds = (name: string) => Number(environment[name]) / 1000;
  const delay = seconds("EDGE_DRAIN_DELAY_MS");
  const window = seconds("EDGE_DRAIN_WINDOW_MS");
  const grace = seconds("EDGE_DRAIN_GRACE_MS");
  const deadline = seconds("EDGE_DRAIN_DEADLINE_MS");
  const preStop = preStopSeconds(container);

  test("the drain has room for its delay, window and grace, and for leaving in order", () => {
    expect(deadline).toBeGreaterThanOrEqual(delay + window + grace + 5);
  });

  test("the pod is killed only after preStop, the drain's deadline and some spare", () => {
    expect(graceSeconds(edge)).toBeGreaterThanOrEqual(preStop + deadline + 10);
  });

  test("the next node ends only when the clients of this one have been told", () => {
    expect(edge.spec?.minReadySeconds).toBeGreaterThanOrEqual(preStop + delay + window);
    expect(edge.spec?.strategy?.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  });

  test("a rollout is given the time its slowest step takes", () => {
    const step = (edge.spec?.minReadySeconds ?? 0) + graceSeconds(edge);

    expect(edge.spec?.progressDeadlineSeconds).toBeGreaterThan(2 * step);
  });

  test("the delay outlasts what it takes the readiness probe to fail", () => {
    const probe = container.readinessProbe;

    expect((probe?.periodSeconds ?? 10) * (probe?.failureThreshold ?? 3)).toBeLessThan(delay);
  });

  test("a node that waits for Redis is not held back by Kubernetes", () => {
    // A container that ran for ten minutes starts again without a back-off.
    expect(seconds("EDGE_START_TIMEOUT_MS")).toBeGreaterThanOrEqual(600);
  });
});

describe("the end of a token service", () => {
  test("the pod is killed only after preStop, the service's own deadline and some spare", () => {
    const container = containerOf(token);
    const stop = Number(environmentOf(manifests, container)["TOKEN_STOP_TIMEOUT_MS"]) / 1000;

    expect(graceSeconds(token)).toBeGreaterThanOrEqual(preStopSeconds(container) + stop + 10);
  });

  test("the pod is not killed while it may wait for Redis and NATS, one after the other", () => {
    const container = containerOf(token);
    const wait = Number(environmentOf(manifests, container)["TOKEN_START_TIMEOUT_MS"]) / 1000;
    const { periodSeconds = 10, failureThreshold = 3 } = container.startupProbe ?? {};

    expect(periodSeconds * failureThreshold).toBeGreaterThan(2 * wait);
  });
});

describe.each([
  { name: "edge", deployment: edge, adminPort: 9090 },
  { name: "token", deployment: token, adminPort: 9091 },
])("deployment $name", ({ name, deployment, adminPort }) => {
  const container = containerOf(deployment);
  const labels = deployment.spec?.template.metadata?.labels ?? {};

  test("probes ask the admin port what they are meant to ask", () => {
    const asked = (probe: Probe | undefined) => [probe?.httpGet?.path, probe?.httpGet?.port];

    expect(asked(container.startupProbe)).toEqual(["/livez", "admin"]);
    expect(asked(container.livenessProbe)).toEqual(["/livez", "admin"]);
    expect(asked(container.readinessProbe)).toEqual(["/readyz", "admin"]);
    expect(container.ports).toContainEqual({ name: "admin", containerPort: adminPort });
  });

  test("Prometheus is told the admin port", () => {
    expect(deployment.spec?.template.metadata?.annotations).toEqual({
      "prometheus.io/scrape": "true",
      "prometheus.io/port": String(adminPort),
      "prometheus.io/path": "/metrics",
    });
  });

  test("the disruption budget selects its pods, one at a time", () => {
    const budget = find(manifests, "PodDisruptionBudget", name);

    expect(budget.spec?.selector?.matchLabels).toEqual(labels);
    expect(deployment.spec?.selector.matchLabels).toEqual(labels);
    expect(budget.spec?.maxUnavailable).toBe(1);
    expect(deployment.spec?.replicas).toBeGreaterThan(1);
  });

  test("every service that selects its pods leads to a port they have", () => {
    const names = container.ports?.map((port) => port.name) ?? [];
    const services = manifests
      .filter((one) => one.kind === "Service")
      .map((one) => find(manifests, "Service", one.metadata.name))
      .filter((service) => service.spec?.selector?.["app"] === labels["app"]);

    expect(services.length).toBeGreaterThan(0);
    for (const service of services) {
      for (const port of service.spec?.ports ?? [])
        expect(names).toContain(String(port.targetPort));
    }
  });

  test("a container may do nothing that it does not need", () => {
    const pod = deployment.spec?.template.spec;

    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(pod?.securityContext?.runAsNonRoot).toBe(true);
    expect(pod?.securityContext?.runAsUser).toBeGreaterThan(0);
    expect(pod?.securityContext?.seccompProfile?.type).toBe("RuntimeDefault");
    expect(pod?.automountServiceAccountToken).toBe(false);
    expect(container.resources?.limits).toEqual({
      memory: String(container.resources?.requests?.["memory"]),
    });
  });
});

test("everything but the namespace itself lies in the namespace", () => {
  const outside = manifests.filter((one) => one.metadata.namespace !== "holdfast");

  expect(outside.map((one) => `${one.kind} ${one.metadata.name}`)).toEqual(["Namespace holdfast"]);
});

test("clients reach both transports", () => {
  const ports = ["edge-tcp", "edge-ws"].map(
    (name) => find(manifests, "Service", name).spec?.ports?.[0]?.targetPort,
  );

  expect(ports).toEqual(["tcp", "ws"]);
});
