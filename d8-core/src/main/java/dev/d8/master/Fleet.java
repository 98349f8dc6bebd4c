package dev.d8.master;

import dev.d8.Task;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The registered slaves, and which of them can take which tasks. Thread-safe.
 *
 * <p>Who can take what changes when a slave dies, not when a task comes: the answer is kept until then, so that choosing costs
 * the same among ten and among ten thousand.
 */
final class Fleet {

    /** Different needs whose candidates are kept. */
    private static final int MOST_KEPT = 256;

    private final SlaveSelector selector;
    private final Map<String, Member> members = new ConcurrentSkipListMap<>();
    private final Map<Needs, Candidates> kept = new ConcurrentHashMap<>();
    private final AtomicLong epoch = new AtomicLong();
    private volatile Runnable whenChanged = () -> {};
    private volatile Consumer<Member> whenRoom = member -> {};

    Fleet(SlaveSelector selector) {
        this.selector = selector;
    }

    /** Sets who hears that other slaves than before can take tasks, and that one has room again. */
    void listen(Runnable changed, Consumer<Member> room) {
        whenChanged = changed;
        whenRoom = room;
    }

    /** Returns whether the id was free. */
    boolean add(Member member) {
        boolean added = members.putIfAbsent(member.id, member) == null;
        changed();
        return added;
    }

    @Nullable
    Member remove(String id) {
        Member removed = members.remove(id);
        changed();
        return removed;
    }

    @Nullable
    Member get(String id) {
        return members.get(id);
    }

    boolean has(Member member) {
        return members.get(member.id) == member;
    }

    Collection<Member> members() {
        return members.values();
    }

    Set<String> ids() {
        return members.keySet();
    }

    int size() {
        return members.size();
    }

    /** A slave came or went, or what it can take is not what it was. */
    void changed() {
        epoch.incrementAndGet();
        whenChanged.run();
    }

    /** A task of this slave's is over. */
    void room(Member member) {
        whenRoom.accept(member);
    }

    /** Returns the slaves that can take a task, without those whose last call failed if there are others. */
    Candidates candidates(Needs needs) {
        Candidates known = kept.get(needs);
        long now = epoch.get();
        if (known != null && known.epoch == now) {
            return known;
        }
        Candidates fresh = find(needs, now);
        if (needs.without().isEmpty()) { // Others will not be asked for again.
            if (kept.size() >= MOST_KEPT) {
                kept.clear();
            }
            kept.put(needs, fresh);
        }
        return fresh;
    }

    private Candidates find(Needs needs, long now) {
        List<Member> trusted = new ArrayList<>();
        List<Member> suspected = new ArrayList<>();
        for (Member member : members.values()) {
            Slave slave = member.snapshot();
            if (!needs.without().contains(member.id) && needs.objection(slave).isEmpty()) {
                (slave.suspected() ? suspected : trusted).add(member);
            }
        }
        List<Member> best = trusted.isEmpty() ? suspected : trusted;
        return new Candidates(now, !trusted.isEmpty(), best.toArray(Member[]::new));
    }

    /** Returns the slave for a task, whatever else it runs; null if none can take it. */
    @Nullable
    Member choose(Needs needs, Task task) {
        Candidates candidates = candidates(needs);
        return candidates.isEmpty() ? null : candidates.member(candidates.choose(selector, task));
    }

    /** Takes a place on a slave that has room for a task, the one that is chosen if it has; null if none has. */
    @Nullable
    Member enter(Needs needs, Task task) {
        Candidates candidates = candidates(needs);
        int count = candidates.size();
        int first = count == 0 ? 0 : candidates.choose(selector, task);
        for (int i = 0; i < count; i++) {
            Member member = candidates.member((first + i) % count);
            if (member.tryEnter()) {
                return member;
            }
        }
        return null;
    }

    /** Returns whether this slave is one of those that can take such a task. */
    boolean suits(Member member, Needs needs) {
        Slave slave = member.snapshot();
        return has(member)
                && !needs.without().contains(member.id)
                && needs.objection(slave).isEmpty()
                && !(slave.suspected() && candidates(needs).trusted);
    }

    /** Returns why nobody can take a task, slave by slave. */
    Map<String, String> objections(Needs needs, Map<String, String> turnedAway) {
        Map<String, String> all = new LinkedHashMap<>(turnedAway);
        for (Member member : members.values()) {
            Optional<String> why = needs.objection(member.snapshot());
            all.putIfAbsent(member.id, why.orElse("it is busy"));
        }
        return all;
    }
}
