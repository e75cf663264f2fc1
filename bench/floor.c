/* floor: the least a traced `with` block can cost in CPython, as a tracer that keeps nothing.
 *
 *     enter   clock, two random ids, ContextVar set
 *     exit    ContextVar reset, clock, one 64-byte record into a small array
 *
 * No sampler, parent, limits, status, queue or exporter, and no OpenTelemetry Context: what is left
 * is what any implementation pays. Two tracers differ in how the interpreter reaches enter and exit:
 *
 *     Tracer         two ordinary methods; `with` makes a bound method for each
 *     DirectTracer   one descriptor that gives the instance itself, whose vectorcall tells enter
 *                    from exit by the number of arguments; nothing is allocated
 *
 * set_attribute stores references to key and value, five at most; the dealloc drops them.
 * Threads: under the GIL. For measurements only: exiting in another context than it was entered in
 * raises, and a sixth attribute is ignored.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define N_FREE 64       /* scopes kept for reuse: nesting deeper than this goes to malloc */
#define N_RECORDS 64    /* 4 KiB: stays in the first-level cache, as a floor may */
#define N_ATTRIBUTES 5  /* what the five-attribute workload needs */

typedef struct record {
    uint64_t trace_id, span_id, start_ns, end_ns;
    uint64_t n_attributes;
    uint64_t unused[3];
} record;

_Static_assert(sizeof(record) == 64, "a record is one cache line");

typedef struct scope {
    PyObject_HEAD
    vectorcallfunc vectorcall; /* DirectScope only */
    PyObject *token;           /* while entered */
    record record;
    PyObject *attributes[2 * N_ATTRIBUTES]; /* strong references: key, value, key, value ... */
} scope;

static PyObject *variable; /* the ContextVar */
static record records[N_RECORDS];
static uint64_t n_records;
static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t random_id(void) { /* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
    uint64_t x = random_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return random_state = x;
}

/* ---- the scope ------------------------------------------------------------------------ */

static PyObject *enter(scope *self) {
    self->record.start_ns = now_ns();
    self->record.trace_id = random_id();
    self->record.span_id = random_id();
    self->token = PyContextVar_Set(variable, (PyObject *)self);
    if (self->token == NULL) return NULL;
    Py_INCREF(self);
    return (PyObject *)self;
}

static PyObject *leave(scope *self) {
    if (self->token == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "not entered");
        return NULL;
    }
    int failed = PyContextVar_Reset(variable, self->token);
    Py_CLEAR(self->token);
    if (failed) return NULL;
    self->record.end_ns = now_ns();
    records[n_records++ % N_RECORDS] = self->record;
    Py_RETURN_NONE;
}

static PyObject *scope_enter(PyObject *self, PyObject *Py_UNUSED(none)) { return enter((scope *)self); }

static PyObject *scope_exit(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(n)) {
    return leave((scope *)self);
}

static PyObject *scope_set_attribute(PyObject *object, PyObject *const *args, Py_ssize_t n) {
    scope *self = (scope *)object;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "set_attribute(key, value)");
        return NULL;
    }
    if (self->record.n_attributes < N_ATTRIBUTES) {
        PyObject **place = &self->attributes[2 * self->record.n_attributes++];
        place[0] = Py_NewRef(args[0]);
        place[1] = Py_NewRef(args[1]);
    }
    Py_RETURN_NONE;
}

static PyObject *direct_call(PyObject *self, PyObject *const *Py_UNUSED(args), size_t nargsf,
                             PyObject *Py_UNUSED(names)) {
    return PyVectorcall_NARGS(nargsf) == 0 ? enter((scope *)self) : leave((scope *)self);
}

static PyMethodDef scope_methods[] = {
    {"__enter__", scope_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))scope_exit, METH_FASTCALL, NULL},
    {"set_attribute", (PyCFunction)(void (*)(void))scope_set_attribute, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef direct_methods[] = {
    {"set_attribute", (PyCFunction)(void (*)(void))scope_set_attribute, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static scope *free_scopes[N_FREE];
static int n_free;

static void scope_dealloc(PyObject *object) {
    scope *self = (scope *)object;
    for (uint64_t i = 0; i < 2 * self->record.n_attributes; i++) Py_DECREF(self->attributes[i]);
    Py_XDECREF(self->token);
    if (n_free < N_FREE)
        free_scopes[n_free++] = self;
    else
        PyObject_Free(self);
}

static PyTypeObject scope_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tracecore_floor.Scope",
    .tp_basicsize = sizeof(scope),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_dealloc = scope_dealloc,
    .tp_methods = scope_methods,
};

static PyTypeObject direct_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tracecore_floor.DirectScope",
    .tp_basicsize = sizeof(scope),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_dealloc = scope_dealloc,
    .tp_methods = direct_methods,
    .tp_vectorcall_offset = offsetof(scope, vectorcall),
    .tp_call = PyVectorcall_Call,
};

static PyObject *new_scope(PyTypeObject *type) {
    scope *self = n_free > 0 ? free_scopes[--n_free] : PyObject_Malloc(sizeof *self);
    if (self == NULL) return PyErr_NoMemory();
    PyObject_Init((PyObject *)self, type);
    self->vectorcall = direct_call;
    self->token = NULL;
    self->record.n_attributes = 0;
    return (PyObject *)self;
}

/* ---- what a `with` finds as __enter__ and __exit__ of a DirectScope --------------------- */

static PyObject *itself_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner)) {
    return Py_NewRef(instance == NULL ? self : instance);
}

static PyTypeObject itself_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tracecore_floor.Itself",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_descr_get = itself_get,
};

/* ---- tracers ---------------------------------------------------------------------------- */

static PyObject *start_scope(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(name)) { return new_scope(&scope_type); }

static PyObject *start_direct(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(name)) { return new_scope(&direct_type); }

static PyObject *get_current(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(none)) {
    PyObject *value;
    if (PyContextVar_Get(variable, Py_None, &value) < 0) return NULL;
    return value;
}

static PyMethodDef tracer_methods[] = {
    {"start_as_current_span", start_scope, METH_O, NULL},
    {"get_current_span", get_current, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef direct_tracer_methods[] = {
    {"start_as_current_span", start_direct, METH_O, NULL},
    {"get_current_span", get_current, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject tracer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tracecore_floor.Tracer",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = tracer_methods,
    .tp_new = PyType_GenericNew,
};

static PyTypeObject direct_tracer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "tracecore_floor.DirectTracer",
    .tp_basicsize = sizeof(PyObject),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = direct_tracer_methods,
    .tp_new = PyType_GenericNew,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tracecore_floor",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_tracecore_floor(void) {
    if (PyType_Ready(&scope_type) < 0 || PyType_Ready(&direct_type) < 0 || PyType_Ready(&itself_type) < 0 ||
        PyType_Ready(&tracer_type) < 0 || PyType_Ready(&direct_tracer_type) < 0)
        return NULL;
    PyObject *itself = PyObject_New(PyObject, &itself_type);
    if (itself == NULL || PyDict_SetItemString(direct_type.tp_dict, "__enter__", itself) < 0 ||
        PyDict_SetItemString(direct_type.tp_dict, "__exit__", itself) < 0)
        return NULL;
    Py_DECREF(itself);
    PyType_Modified(&direct_type);
    variable = PyContextVar_New("floor", NULL);
    if (variable == NULL) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || PyModule_AddObjectRef(module, "Tracer", (PyObject *)&tracer_type) < 0 ||
        PyModule_AddObjectRef(module, "DirectTracer", (PyObject *)&direct_tracer_type) < 0)
        return NULL;
    return module;
}
