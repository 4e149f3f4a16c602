//! A future that is polled only when it was woken itself: for one that is ready once in the life of a task which often runs for other reasons.
//! Polling the future of a `CancellationToken` takes a lock that all connections share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// See the module. Must not be polled again once it was ready.
pub struct Quiet<F> {
    future: Pin<Box<F>>,
    bell: Option<Arc<Bell>>,
}

struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl<F> Quiet<F> {
    /// On the heap, where it stays.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), bell: None }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let bell = match &self.bell {
            Some(bell) if bell.task.will_wake(cx.waker()) => {
                if !bell.rung.swap(false, Ordering::AcqRel) {
                    return Poll::Pending;
                }
                bell.clone()
            }
            _ => self.bell.insert(Arc::new(Bell { rung: AtomicBool::new(false), task: cx.waker().clone() })).clone(),
        };
        self.future.as_mut().poll(&mut Context::from_waker(&bell.into()))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use futures_util::poll;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn is_polled_when_woken_and_not_otherwise() {
        let (token, polled) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let count = polled.clone();
        let mut cancelled = Box::pin(token.clone().cancelled_owned());
        let inner = poll_fn(move |cx| {
            count.fetch_add(1, Ordering::Relaxed);
            cancelled.as_mut().poll(cx)
        });
        let mut quiet = Quiet::new(inner);
        for _ in 0..3 {
            assert!(poll!(&mut quiet).is_pending());
        }
        assert_eq!(polled.load(Ordering::Relaxed), 1);
        token.cancel();
        assert!(poll!(&mut quiet).is_ready());
        assert_eq!(polled.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn wakes_whichever_task_polled_last() {
        let token = CancellationToken::new();
        let mut quiet = Quiet::new(token.clone().cancelled_owned());
        assert!(poll!(&mut quiet).is_pending());
        let waits = tokio::spawn(quiet);
        tokio::task::yield_now().await;
        token.cancel();
        waits.await.expect("no panic");
    }
}
