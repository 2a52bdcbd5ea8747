/** The Kubernetes objects of the base as `kubectl kustomize` builds them, by kind and name. */
import type { Deployment } from "kubernetes-types/apps/v1";
import type { ConfigMap, Container, Service } from "kubernetes-types/core/v1";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1";
import { run } from "./run.ts";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Kinds {
  Deployment: Deployment;
  ConfigMap: ConfigMap;
  Service: Service;
  PodDisruptionBudget: PodDisruptionBudget;
}

export function buildManifests(): readonly Manifest[] {
  const built = run(["kubectl", "kustomize", "deploy/k8s"]);
  if (built.status !== 0) throw new Error(`Cannot build deploy/k8s: ${built.stderr}`);
  const parsed: unknown = Bun.YAML.parse(built.stdout);
  return (Array.isArray(parsed) ? parsed : [parsed]) as Manifest[]; // checked by k8s-types.test.ts
}

export function find<Kind extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: Kind,
  name: string,
): Kinds[Kind] {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (!found) throw new Error(`Cannot find ${kind} ${name}`);
  return found as unknown as Kinds[Kind]; // by its kind, which was compared
}

export function containerOf(deployment: Deployment): Container {
  const container = deployment.spec?.template.spec?.containers[0];
  if (!container) throw new Error("Cannot find a container in the deployment");
  return container;
}

/** What the process will find in its environment; what comes from a Secret is made up. */
export function environmentOf(
  manifests: readonly Manifest[],
  container: Container,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    if (configMapRef?.name) {
      Object.assign(environment, find(manifests, "ConfigMap", configMapRef.name).data);
    }
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    environment[name] = value ?? secret(name) ?? valueFrom?.fieldRef?.fieldPath ?? "";
    if (valueFrom?.fieldRef) environment[name] = "edge-7d9f8b6c5d-x2x4z";
  }
  return environment;
}

function secret(name: string): string | null {
  if (name.endsWith("_REDIS_URL")) return "redis://user:password@redis:6379";
  if (name.endsWith("_NATS_URL")) return "nats://user:password@nats:4222";
  if (name.endsWith("_ADMIN_TOKEN")) return "a token of more than sixteen characters";
  return null;
}
