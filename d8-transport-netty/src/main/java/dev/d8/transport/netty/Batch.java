package dev.d8.transport.netty;

import dev.d8.SlaveRefusedException;
import dev.d8.TaskResult;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.WireFormat;
import dev.d8.spi.WireFormat.BatchedCall;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Several tasks of one caller and their results, in the order of the tasks or as they come. No more of them are with the
 * slave than it can run at a time and as many again, so that others get their turn; and none is begun while the reader lags
 * behind, so that results do not pile up. Thread-safe.
 */
final class Batch implements Source {

    /** What the results that wait for the reader, or for one before them, may take, in bytes. */
    private static final int BACKLOG = 4 << 20;

    private static final byte[] LINE = {'\n'};

    private final WireFormat wire = WireFormat.json();
    private final SlaveService service;
    private final Caller caller;
    private final List<BatchedCall> calls;
    private final boolean ordered;
    private final Runnable more;
    private final int window;

    private final Map<Integer, Entry> ready = new LinkedHashMap<>();
    private final Set<CompletableFuture<TaskResult>> underWay = new HashSet<>();
    private int begun;
    private int told;
    private long backlog;
    private boolean noRoom;
    private boolean waiting;
    private boolean opened;
    private boolean over;
    private boolean closed;

    /** What has become of one task. */
    @SuppressWarnings("ArrayRecordComponent") // Compared nowhere.
    private record Entry(byte[] json, @Nullable TaskHandle task) {}

    /**
     * Begins with the first tasks when it is first asked for a result.
     *
     * @param ordered whether the results come as one JSON object, in the order of the tasks; else a line each, as they come
     */
    Batch(SlaveService service, Caller caller, List<BatchedCall> calls, boolean ordered, Runnable more) {
        this.service = service;
        this.caller = caller;
        this.calls = calls;
        this.ordered = ordered;
        this.more = more;
        this.window = 2 * service.health().slots().map(slots -> slots.total()).orElse(1);
    }

    @Override
    public synchronized byte @Nullable [] next() {
        if (ordered && !opened) {
            opened = true;
            return ascii("{\"results\":[");
        }
        begin();
        Entry entry = take();
        if (entry == null && told < calls.size()) {
            waiting = true;
            return null;
        }
        if (entry == null) {
            over = true;
            return ordered ? ascii("]}") : null;
        }
        backlog -= entry.json().length;
        told++;
        if (entry.task() != null) {
            entry.task().delivered();
        }
        if (ordered) {
            return told == 1 ? entry.json() : join(ascii(","), entry.json());
        }
        over = told == calls.size();
        return join(entry.json(), LINE);
    }

    private @Nullable Entry take() {
        if (ordered) {
            return ready.remove(told);
        }
        Iterator<Entry> first = ready.values().iterator();
        if (!first.hasNext()) {
            return null;
        }
        Entry entry = first.next();
        first.remove();
        return entry;
    }

    private void begin() {
        while (begun < calls.size() && underWay.size() < window && backlog < BACKLOG && !closed) {
            if (noRoom && !underWay.isEmpty()) {
                return; // Until one of these is over.
            }
            noRoom = false;
            int index = begun++;
            BatchedCall call = calls.get(index);
            try {
                begin(index, call.call().orElseThrow(() -> call.trouble().orElseThrow()));
            } catch (RuntimeException e) {
                over(index, null, null, e);
            }
        }
    }

    private void begin(int index, WireFormat.Call call) {
        TaskHandle task = call.keyed() && service.tasks().isPresent()
                ? service.tasks().get().submit(caller, call.invocation())
                : null;
        CompletableFuture<TaskResult> result =
                task != null ? task.result() : service.execute(caller, call.invocation(), ExecutionListener.NONE);
        underWay.add(result);
        var unused = result.whenComplete((value, failure) -> {
            boolean tell;
            synchronized (this) {
                underWay.remove(result);
                over(index, task, value, failure);
                tell = waiting;
                waiting = false;
            }
            if (tell) {
                more.run();
            }
        });
    }

    private synchronized void over(
            int index, @Nullable TaskHandle task, @Nullable TaskResult result, @Nullable Throwable failure) {
        if (closed) {
            return;
        }
        Trouble trouble = failure == null ? null : Trouble.of(failure);
        if (trouble != null && isFull(trouble) && begun == index + 1 && !underWay.isEmpty()) {
            begun = index; // The places are others'; it comes again when one of its own is free.
            noRoom = true;
            return;
        }
        byte[] json;
        if (result != null) {
            json = join(ascii("{\"index\":" + index + ",\"code\":200,\"result\":"), wire.encode(result), ascii("}"));
        } else {
            Trouble why = trouble == null ? Trouble.of(new IllegalStateException("no result")) : trouble;
            byte[] error = wire.encodeError(why.message());
            json = join(
                    ascii("{\"index\":" + index + ",\"code\":" + why.status().code()
                            + (why.notStarted() ? ",\"not_started\":true," : ",")),
                    Arrays.copyOfRange(error, 1, error.length));
        }
        ready.put(index, new Entry(json, task));
        backlog += json.length;
    }

    private static boolean isFull(Trouble trouble) {
        return trouble.cause() instanceof SlaveRefusedException refused
                && refused.reason() == SlaveRefusedException.Reason.QUEUE_FULL;
    }

    @Override
    public synchronized boolean over() {
        return over;
    }

    @Override
    public byte[] idle() {
        return LINE; // White space between two values of JSON, and an empty line between two lines of it.
    }

    @Override
    public void close() {
        List<CompletableFuture<TaskResult>> left;
        synchronized (this) {
            closed = true;
            left = List.copyOf(underWay);
        }
        left.forEach(task -> task.cancel(true)); // Those with an id go on.
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static byte[] join(byte[]... parts) {
        byte[] all = new byte[Arrays.stream(parts).mapToInt(part -> part.length).sum()];
        int at = 0;
        for (byte[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
