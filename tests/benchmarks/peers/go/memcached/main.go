// The Memcached operator on controller-runtime, as its tutorial writes one: caches for the whole cluster, typed objects,
// Owns(Deployment), updates of whole objects. What it writes is what the operator of examples/memcached_operator writes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	finalizer = "cache.example.com/finalizer"
	image     = "docker.io/library/memcached:1.6-alpine"
	nameLabel = "memcached_cr"
)

var knownKinds = runtime.NewScheme()

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(knownKinds))
	schemeBuilder.Register(&Memcached{}, &MemcachedList{})
	utilruntime.Must(schemeBuilder.AddToScheme(knownKinds))
}

type reconciler struct {
	client.Client
	Scheme *runtime.Scheme
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx)
	memcached := &Memcached{}
	if err := r.Get(ctx, req.NamespacedName, memcached); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !memcached.DeletionTimestamp.IsZero() {
		log.Info("deleting")
		if controllerutil.RemoveFinalizer(memcached, finalizer) {
			return ctrl.Result{}, client.IgnoreNotFound(r.Update(ctx, memcached))
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(memcached, finalizer) {
		if err := r.Update(ctx, memcached); err != nil {
			return ctrl.Result{}, err
		}
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: memcached.Name, Namespace: memcached.Namespace}}
	change, err := controllerutil.CreateOrUpdate(ctx, r.Client, deployment, func() error {
		shape(memcached, deployment)
		return ctrl.SetControllerReference(memcached, deployment, r.Scheme)
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if change != controllerutil.OperationResultNone {
		log.Info("deployment", "change", change)
	}
	pods := &corev1.PodList{}
	if err := r.List(ctx, pods, client.InNamespace(memcached.Namespace), client.MatchingLabels(selector(memcached))); err != nil {
		return ctrl.Result{}, err
	}
	nodes := []string{}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp.IsZero() {
			nodes = append(nodes, pod.Name)
		}
	}
	sort.Strings(nodes)
	before := memcached.DeepCopy()
	setStatus(memcached, deployment, nodes)
	if equality.Semantic.DeepEqual(before.Status, memcached.Status) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.Status().Update(ctx, memcached)
}

func labels(memcached *Memcached) map[string]string {
	return map[string]string{"app": "memcached", nameLabel: memcached.Name, "memcachedLabel": "memcached-" + memcached.Name}
}

func selector(memcached *Memcached) map[string]string {
	return map[string]string{"memcachedLabel": "memcached-" + memcached.Name}
}

func shape(memcached *Memcached, deployment *appsv1.Deployment) {
	deployment.Labels = labels(memcached)
	deployment.Spec.Replicas = &memcached.Spec.Size
	if deployment.CreationTimestamp.IsZero() {
		deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: selector(memcached)}
		yes, no, user := true, false, int64(1001)
		deployment.Spec.Template = corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels(memcached)},
			Spec: corev1.PodSpec{
				SecurityContext: &corev1.PodSecurityContext{
					RunAsNonRoot:   &yes,
					RunAsUser:      &user,
					SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
				},
				Containers: []corev1.Container{{
					Name:    "memcached",
					Image:   image,
					Command: []string{"memcached", "-m=64", "-o", "modern", "-v"},
					Ports:   []corev1.ContainerPort{{Name: "memcached", ContainerPort: 11211}},
					SecurityContext: &corev1.SecurityContext{
						AllowPrivilegeEscalation: &no,
						Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
					},
				}},
			},
		}
	}
	deployment.Spec.Template.Spec.Containers[0].Image = image
}

func setStatus(memcached *Memcached, deployment *appsv1.Deployment, nodes []string) {
	size, available := memcached.Spec.Size, deployment.Status.AvailableReplicas
	current := deployment.Status.ObservedGeneration >= deployment.Generation
	done := current && available == size && int(available) == len(nodes)
	text := fmt.Sprintf("Deployment %s has %d of %d servers available", deployment.Name, available, size)
	condition := metav1.Condition{
		Type: "Successful", Status: metav1.ConditionUnknown, Reason: "Progressing", Message: text,
		ObservedGeneration: memcached.Generation,
	}
	memcached.Status.State = nil
	if done {
		condition.Status, condition.Reason = metav1.ConditionTrue, "ReconcileSucceeded"
		memcached.Status.State = &MemcachedState{Status: "Succeeded", Message: text}
	}
	meta.SetStatusCondition(&memcached.Status.Conditions, condition)
	memcached.Status.ObservedGeneration = memcached.Generation
	memcached.Status.Nodes = nodes
}

func (r *reconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&Memcached{}).
		Owns(&appsv1.Deployment{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, pod client.Object) []reconcile.Request {
			name, found := pod.GetLabels()[nameLabel]
			if !found {
				return nil
			}
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
		})).
		Complete(r)
}

func main() {
	health := flag.String("health-probe-bind-address", "0", "where /readyz is served")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                 knownKinds,
		HealthProbeBindAddress: *health,
		Metrics:                metricsserver.Options{BindAddress: "0"},
	})
	exitOn(err)
	exitOn((&reconciler{Client: mgr.GetClient(), Scheme: mgr.GetScheme()}).setup(mgr))
	exitOn(mgr.AddReadyzCheck("readyz", healthz.Ping))
	exitOn(mgr.Start(ctrl.SetupSignalHandler()))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
