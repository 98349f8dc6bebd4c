package dev.d8.launcher;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * What SIGTERM and Ctrl-C do: the first one, and each that follows while the first is being heeded. The JDK has no public way
 * to hear a second one, since its own shutdown takes no notice of it; {@code sun.misc.Signal} is the one that all JDKs have.
 */
final class StopSignals {

    private StopSignals() {}

    /** Has signals handled from now on, each on a thread of its own. Where the JVM has none, its end does what the first would. */
    static void handle(Runnable first, Runnable again) {
        AtomicInteger count = new AtomicInteger();
        Runnable next = () -> (count.getAndIncrement() == 0 ? first : again).run();
        try {
            Class<?> handlers = Class.forName("sun.misc.SignalHandler");
            Class<?> signals = Class.forName("sun.misc.Signal");
            InvocationHandler handle = (proxy, method, arguments) -> {
                if (method.getDeclaringClass() == Object.class) {
                    return method.invoke(next, arguments);
                }
                new Thread(next, "d8-stop").start();
                return null;
            };
            Object handler = Proxy.newProxyInstance(handlers.getClassLoader(), new Class<?>[] {handlers}, handle);
            for (String name : new String[] {"TERM", "INT"}) {
                signals.getMethod("handle", signals, handlers)
                        .invoke(null, signals.getConstructor(String.class).newInstance(name), handler);
            }
        } catch (ReflectiveOperationException | IllegalArgumentException e) {
            Runtime.getRuntime().addShutdownHook(new Thread(next, "d8-stop"));
        }
    }
}
