//! `patchbay dead-letters`, on both stores.

use anyhow::Result;
use serde_json::Value;

use crate::{ADA, ANSWER, BOB, Kept, On, letters, on_both_stores, operator, refuse_answer, refuse_messages, sent};

on_both_stores!(a_dead_letter_is_looked_at_changed_and_tried_again, dead_letters_are_tried_all_at_once_or_dropped);

async fn a_dead_letter_is_looked_at_changed_and_tried_again(on: On) -> Result<()> {
    let house = Kept::open(on).await?;
    let patchbay = operator(&house).await?;
    refuse_answer(&house, ADA).await?;
    let task = letters(&patchbay, 1).await?.remove(0);

    let list = patchbay.done(&["dead-letters", "list"]).await?;
    assert!(list.contains(&task) && list.contains("whatsapp:support") && list.contains("131047"), "{list}");
    assert!(!list.contains(ADA) && !list.contains(ANSWER), "{list}");
    assert!(!list.contains('\u{1b}'), "no colours without a terminal");
    assert_eq!(patchbay.rows(&["dead-letters", "list", "--lane", "whatsapp", "--json"]).await?.len(), 1);
    let none = patchbay.run(&["dead-letters", "list", "--lane", "desk:zendesk"]).await?;
    assert_eq!((none.code, none.out.as_str(), none.err.as_str()), (0, "", "no dead letters\n"));
    let shown = patchbay.done(&["dead-letters", "show", &task]).await?;
    assert!(shown.contains(ANSWER) && shown.contains(ADA), "{shown}");

    let letter = patchbay.rows(&["dead-letters", "show", &task, "--json"]).await?.remove(0);
    let effect = serde_json::to_string_pretty(&letter["effect"])?;
    let edit = ["dead-letters", "edit", &task, "--file", "-"];
    let broken = patchbay.feed(&edit, &effect.replacen(',', "", 1)).await?;
    assert_eq!(broken.code, 2);
    assert!(
        broken.err.contains("this is not JSON") && broken.err.contains(" at line ") && broken.err.contains(" column "),
        "{}",
        broken.err
    );
    let other = patchbay.feed(&edit, &effect.replace("\"send\"", "\"mark-read\"")).await?;
    assert_eq!(other.code, 2);
    assert!(other.err.contains("of the kind `send`"), "{}", other.err);
    let same = patchbay.feed(&edit, &effect).await?;
    assert_eq!((same.code, same.err.as_str()), (0, "nothing has changed\n"));
    let changed = patchbay.feed(&edit, &effect.replace(ANSWER, "We are here.")).await?;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert!(changed.out.contains(&format!(": \"{ANSWER}\"\n+ ")), "{}", changed.out);
    // As a person does it.
    let editing = patchbay.clone().with("EDITOR", "sed -i 's/We are here/We are there/'");
    let changed = editing.run(&["dead-letters", "edit", &task]).await?;
    assert!(changed.code == 0 && changed.out.contains(": \"We are there.\""), "{changed:?}");
    assert_eq!(letters(&patchbay, 1).await?, std::slice::from_ref(&task), "it is a dead letter still");

    let tried = patchbay.run(&["dead-letters", "retry", &task]).await?;
    assert_eq!((tried.code, tried.out), (0, format!("{task}  back in its lane\n")));
    sent(&house, "We are there.").await?;
    letters(&patchbay, 0).await?;
    let gone = patchbay.run(&["dead-letters", "retry", &task]).await?;
    assert_eq!((gone.code, gone.out), (1, format!("{task}  no such dead letter\n")));
    Ok(())
}

async fn dead_letters_are_tried_all_at_once_or_dropped(on: On) -> Result<()> {
    let house = Kept::open(on).await?;
    let patchbay = operator(&house).await?;
    refuse_answer(&house, ADA).await?;
    letters(&patchbay, 1).await?;
    refuse_answer(&house, BOB).await?;
    let tasks = letters(&patchbay, 2).await?;

    let drop = ["dead-letters", "drop", &tasks[0]];
    let unasked = patchbay.run(&drop).await?;
    assert_eq!(unasked.code, 2);
    assert!(unasked.err.contains("add --yes"), "{}", unasked.err);
    let dropped = patchbay.run(&[&drop[..], &["--yes"]].concat()).await?;
    assert_eq!((dropped.code, dropped.out), (0, format!("{}  dropped\n", tasks[0])));
    assert_eq!(letters(&patchbay, 1).await?, tasks[1..]);

    let elsewhere = patchbay.run(&["dead-letters", "retry", "--all", "--lane", "desk"]).await?;
    assert_eq!((elsewhere.code, elsewhere.out.as_str()), (0, ""));
    // It dies once more: the command says so, or that it is on its way.
    refuse_messages(&house, 1).await?;
    let again = patchbay.run(&["dead-letters", "retry", "--all", "--json"]).await?;
    let row: Value = serde_json::from_str(again.out.trim())?;
    assert_eq!(row["task"], tasks[1].as_str());
    assert!(matches!((again.code, row["outcome"].as_str()), (1, Some("died again")) | (0, Some("back in its lane"))));
    letters(&patchbay, 1).await?;
    let tried = patchbay.rows(&["dead-letters", "retry", "--all", "--lane", "whatsapp:support", "--json"]).await?;
    assert_eq!(tried[0]["outcome"], "back in its lane");
    sent(&house, ANSWER).await
}
