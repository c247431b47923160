// The cache of controller-runtime under the measurement of tests/benchmarks/drivers/common.py: the Pods of one
// namespace, an index by owner, one handler for each event. Objects unstructured, typed (JSON) or as metadata.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

const namespace = "default"

var podKind = corev1.SchemeGroupVersion.WithKind("Pod")

type benchmark struct {
	url      string
	http     *http.Client
	expected atomic.Pointer[string]
	done     chan struct{}
	shown    atomic.Int64
}

func main() {
	url := flag.String("url", "", "the load server")
	ca := flag.String("ca", "", "its certificate")
	events := flag.Int("events", 10000, "events of the burst")
	mode := flag.String("objects", "unstructured", "unstructured, typed or metadata")
	flag.Parse()
	log.SetLogger(zap.New())
	pem, err := os.ReadFile(*ca)
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	b := &benchmark{url: *url, http: &http.Client{Transport: transport}, done: make(chan struct{}, 1)}
	figures, err := b.measure(*ca, *mode, *events)
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(figures))
}

func (b *benchmark) measure(ca, mode string, events int) (map[string]float64, error) {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
	mapper.Add(podKind, meta.RESTScopeNamespace)
	config := &rest.Config{Host: b.url, TLSClientConfig: rest.TLSClientConfig{CAFile: ca}, QPS: -1}
	config.ContentType = "application/json"
	pods, err := cache.New(config, cache.Options{
		Scheme: clientgoscheme.Scheme, Mapper: mapper, DefaultNamespaces: map[string]cache.Config{namespace: {}},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server, err := b.versions()
	if err != nil {
		return nil, err
	}
	time.Sleep(200 * time.Millisecond)
	debug.FreeOSMemory()
	before := resident("VmRSS")
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	began := time.Now()
	one := kind(mode)
	if err := pods.IndexField(ctx, one, "owner", owner); err != nil {
		return nil, err
	}
	go func() { check(pods.Start(ctx)) }()
	informer, err := pods.GetInformer(ctx, one)
	if err != nil {
		return nil, err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { b.shown.Add(1) },
		UpdateFunc: func(_, new any) { b.updated(new.(client.Object)) },
	})
	if err != nil {
		return nil, err
	}
	for !registration.HasSynced() || int(b.shown.Load()) < len(server) {
		time.Sleep(time.Millisecond)
	}
	seconds := time.Since(began).Seconds()
	peak := resident("VmHWM")
	debug.FreeOSMemory()
	time.Sleep(200 * time.Millisecond)
	kept, count := resident("VmRSS")-before, float64(len(server))
	figures := map[string]float64{
		"sync_s": seconds, "sync_objects_per_s": count / seconds, "import_rss_mb": before / 1e6,
		"peak_growth_mb": (peak - before) / 1e6, "peak_mb": peak / 1e6, "kept_kb_per_object": kept / 1e3 / count,
	}
	cpu, began := processorSeconds(), time.Now()
	if err := b.burst(events); err != nil {
		return nil, err
	}
	figures["events_per_s"] = float64(events) / time.Since(began).Seconds()
	figures["cpu_us_per_event"] = (processorSeconds() - cpu) / float64(events) * 1e6
	runtime.KeepAlive(pods)
	return figures, b.compare(ctx, pods, mode)
}

func kind(mode string) client.Object {
	switch mode {
	case "typed":
		return &corev1.Pod{}
	case "metadata":
		found := &metav1.PartialObjectMetadata{}
		found.SetGroupVersionKind(podKind)
		return found
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(podKind)
	return found
}

func owner(object client.Object) []string {
	if controller := metav1.GetControllerOf(object); controller != nil {
		return []string{string(controller.UID)}
	}
	return nil
}

func (b *benchmark) updated(object client.Object) {
	if expected := b.expected.Load(); expected != nil && object.GetResourceVersion() == *expected {
		b.done <- struct{}{}
	}
}

func (b *benchmark) burst(events int) error {
	state, err := b.state()
	if err != nil {
		return err
	}
	expected := strconv.Itoa(state.Version + events)
	b.expected.Store(&expected)
	if _, err := b.ask(http.MethodPost, fmt.Sprintf("/bench/events?count=%d&rate=0", events)); err != nil {
		return err
	}
	select {
	case <-b.done:
		return nil
	case <-time.After(120 * time.Second):
		return fmt.Errorf("not all events came")
	}
}

func (b *benchmark) compare(ctx context.Context, pods cache.Cache, mode string) error {
	var list client.ObjectList
	switch mode {
	case "typed":
		list = &corev1.PodList{}
	case "metadata":
		found := &metav1.PartialObjectMetadataList{}
		found.SetGroupVersionKind(podKind.GroupVersion().WithKind("PodList"))
		list = found
	default:
		found := &unstructured.UnstructuredList{}
		found.SetGroupVersionKind(podKind.GroupVersion().WithKind("PodList"))
		list = found
	}
	if err := pods.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	server, err := b.versions()
	if err != nil {
		return err
	}
	if len(items) != len(server) {
		return fmt.Errorf("%d objects are held, %d on the server", len(items), len(server))
	}
	for _, item := range items {
		object := item.(client.Object)
		if server[string(object.GetUID())] != object.GetResourceVersion() {
			return fmt.Errorf("%s differs", object.GetName())
		}
	}
	return nil
}

type state struct {
	Version int               `json:"version"`
	Objects map[string]string `json:"objects"`
}

func (b *benchmark) state() (state, error) {
	found := state{}
	body, err := b.ask(http.MethodGet, "/bench/state")
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(body, &found)
}

func (b *benchmark) versions() (map[string]string, error) {
	found, err := b.state()
	return found.Objects, err
}

func (b *benchmark) ask(method, path string) ([]byte, error) {
	request, err := http.NewRequest(method, b.url+path, bytes.NewReader(nil))
	if err != nil {
		return nil, err
	}
	answer, err := b.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func resident(field string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	check(err)
	return kib * 1024
}

func processorSeconds() float64 {
	usage := syscall.Rusage{}
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
